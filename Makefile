# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# make help says what there is. Everything is installed into .venv and .cache of this checkout.

ARGS ?=
# A checkout in a folder that others can write to is no reason to ignore ansible.cfg silently, so name it.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

STAGES := lint sanity units contract release integration molecule

.PHONY: help diagnose audit fix undo whose_port judge demo venv test $(STAGES) fuzz bench changelog build clean
.DEFAULT_GOAL := help

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z_]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  ARGS are ansible-playbook's, for instance: make diagnose ARGS='-i inventory.ini -l masters -e kubeconfig=admin.conf'"

# The stamps make a second run skip installing; changed requirements install again.
.venv/installed: requirements.txt tests/tools/venv.sh
	@tests/tools/venv.sh .venv requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt tests/unit/requirements.txt
	@tests/tools/venv.sh .venv requirements-dev.txt
	@touch $@

diagnose: .venv/installed ## Diagnose this machine, or the fleet that ARGS names
	@.venv/bin/ansible-playbook playbooks/diagnose.yml $(ARGS)

audit: .venv/installed ## What a schedule runs: diagnose, announce, tidy up; findings do not fail it
	@.venv/bin/ansible-playbook playbooks/audit.yml $(ARGS)

fix: .venv/installed ## Cure what ARGS names: make fix ARGS='-e fix=reserve-nodeports --check --diff'
	@.venv/bin/ansible-playbook playbooks/fix.yml $(ARGS)

undo: .venv/installed ## Undo a fix by its record: make undo ARGS='-e record=audits/.../undo-reserve-nodeports-localhost.json'
	@.venv/bin/ansible-playbook playbooks/undo.yml $(ARGS)

whose_port: .venv/installed ## Say who opened a port, and why: make whose_port ARGS='-e listener_port=37231'
	@.venv/bin/ansible-playbook playbooks/whose_port.yml $(ARGS)

judge: .venv/installed ## Judge a saved bundle again: make judge ARGS='-e bundle=audits/...'
	@.venv/bin/ansible-playbook playbooks/judge.yml $(ARGS)

demo: .venv/installed-dev ## Retell seed 000 with real processes in network namespaces (needs root)
	@.venv/bin/python tests/support/seed_000.py

venv: .venv/installed-dev ## Install what development needs

test: .venv/installed-dev ## Run every check and every test
	@tests/run.sh

lint: .venv/installed-dev ## ruff, mypy, ansible-lint, yamllint, shellcheck, antsibull-changelog
	@tests/run.sh $@

sanity: .venv/installed-dev ## ansible-test sanity, without a single ignore
	@tests/run.sh $@

units: .venv/installed-dev ## Unit tests, on every supported Python that is here
	@tests/run.sh $@

contract: .venv/installed-dev ## Documentation and code say the same
	@tests/run.sh $@

release: .venv/installed-dev ## A release is what Galaxy takes
	@tests/run.sh $@

integration: .venv/installed-dev ## Real sockets, real network namespaces, real playbook runs
	@tests/run.sh $@

molecule: .venv/installed-dev ## The five stories and more on nodes in Docker containers (docs/molecule.md)
	@tests/run.sh $@

fuzz: .venv/installed-dev ## Feed the parsers with inputs made of real ones: make fuzz ARGS='--inputs 1000000 --seed 7'
	@PYTHONPATH=.collections .venv/bin/python -m ansible_collections.kubenode.doctor.tests.fuzz.run $(ARGS)

bench: .venv/installed-dev ## Measure a node with 92,000 sockets, a fleet beside ping, a bundle of 10,000 nodes (needs root)
	@status=0; for bench in bench fleet big_bundle; do .venv/bin/python tests/bench/$$bench.py || status=$$?; done; exit $$status

changelog: .venv/installed-dev ## Render CHANGELOG.rst from changelogs/
	@.venv/bin/antsibull-changelog generate

build: .venv/installed ## Build the tarball of what git keeps
	@tests/tools/build.sh

clean: ## Remove what make installed and what tests left behind
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible kubenode-doctor-*.tar.gz
