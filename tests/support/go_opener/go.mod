module example.org/opener

go 1.19
