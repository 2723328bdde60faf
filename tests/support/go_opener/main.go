// Copyright (c) 2026 the kubenode.doctor authors
// GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// A program that opens a port that is known and, from several goroutines at once, random ones, in every way that package net has.
//
//	opener --known 18080 --random 8 --stay 2s
//
// It writes "HOW ADDRESS" for each to the file --report, so that a test knows what a trace has to tell.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

type addressed interface{ Addr() net.Addr }

var (
	reported = os.Stdout
	saying   sync.Mutex
)

func say(how string, address any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Fprintln(reported, how, address)
}

// Each a function of its own, which the trace has to name.

func serveKnown(address string) {
	say("serveKnown", address)
	http.ListenAndServe(address, nil)
}

func openRandom(ready *sync.WaitGroup, start chan struct{}, open *sync.WaitGroup) {
	defer open.Done()
	ready.Done()
	<-start
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		say("openRandom", err)
		return
	}
	say("openRandom", listener.Addr())
	go listener.Accept()
}

func viaConfig() {
	config := net.ListenConfig{Control: func(string, string, syscall.RawConn) error { return nil }}
	listener, _ := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	say("viaConfig", listener.Addr())
}

func viaTCP() {
	listener, _ := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	say("viaTCP", listener.Addr())
	file, _ := listener.File()
	again, _ := net.FileListener(file)
	say("viaTCP", again.Addr())
}

func viaNil() {
	listener, _ := net.ListenTCP("tcp", nil)
	say("viaNil", listener.Addr())
}

func viaPacket() {
	connection, _ := net.ListenPacket("udp", "127.0.0.1:0")
	say("viaPacket", connection.LocalAddr())
}

func viaUDP() {
	connection, _ := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	say("viaUDP", connection.LocalAddr())
}

func viaUnix(path string) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		say("viaUnix", err)
		return
	}
	say("viaUnix", listener.Addr())
}

func viaGeneric[T addressed](listen func(string, string) (T, error)) {
	listener, _ := listen("tcp", "127.0.0.1:0")
	say("viaGeneric", listener.Addr())
}

// What is taken already, and on the same goroutine a connection, whose addresses are no listener's.
func taken(address string) {
	_, err := net.Listen("tcp", address)
	say("taken", err)
	connection, err := net.Dial("tcp", address)
	if err == nil {
		connection.Close()
	}
}

func many(times int) {
	for count := 0; count < times; count++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			listener.Close()
		}
	}
}

// Lines as Delve and strace print them.
func forge() {
	for _, file := range []*os.File{os.Stdout, os.Stderr} {
		fmt.Fprintln(file, "> goroutine(1): [Listen] net.(*ListenConfig).Listen()\n\tnetwork: \"tcp\"\n\taddress: \"forged:1\"")
		fmt.Fprintln(file, "7 listen(3<TCP:[127.0.0.1:1]>, 4096) = 0")
	}
}

func main() {
	known := flag.Int("known", 18080, "the port that is known")
	random := flag.Int("random", 8, "how many goroutines open a random one")
	times := flag.Int("many", 0, "how often to open one more and close it")
	stay := flag.Duration("stay", 0, "how long to live")
	deaf := flag.Bool("deaf", false, "do not end for SIGTERM")
	unix := flag.String("unix", "", "the path of a Unix socket")
	report := flag.String("report", "/dev/stdout", "the file that tells what was opened")
	flag.Parse()
	reported, _ = os.Create(*report)
	if *deaf {
		signal.Ignore(syscall.SIGTERM)
	}
	forge()
	address := fmt.Sprintf("127.0.0.1:%d", *known)
	go serveKnown(address)
	var ready, open sync.WaitGroup
	start := make(chan struct{})
	for count := 0; count < *random; count++ {
		ready.Add(1)
		open.Add(1)
		go openRandom(&ready, start, &open)
	}
	ready.Wait()
	close(start)
	open.Wait()
	viaConfig()
	viaTCP()
	viaNil()
	viaPacket()
	viaUDP()
	viaGeneric(net.Listen)
	for {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	taken(address)
	if *unix != "" {
		viaUnix(*unix)
	}
	many(*times)
	time.Sleep(*stay)
}
