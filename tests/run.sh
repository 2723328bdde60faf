#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/run.sh [lint|sanity|units|contract|release|integration|molecule]...     (all of them when none is named)
# Runs each stage to its end, whatever the others said, then tells what failed, what was skipped and how long everything took.
# When none is named, what leaves a CPU idle runs beside something else; beside tests that look at the whole machine, what only reads this checkout.
# KUBENODE_NO_SKIP=1 turns a skip into a failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

venv=$PWD/.venv/bin
export PATH=$venv:$PATH:/usr/sbin:/sbin
export ANSIBLE_CONFIG=$PWD/ansible.cfg
logs=$PWD/.cache/logs
mkdir -p "$logs"

# The files summary, skips and failures, which stages that run side by side add to.
told=$(mktemp -d)
trap 'rm -rf "$told"' EXIT
trap 'kill -TERM 0' INT # what runs in the background does not hear of Ctrl-C
touch "$told"/{summary,skips,failures}

# What each tool prints when it leaves something out: these scripts, ansible-test, pytest -ra.
skip_pattern='^SKIP: |^WARNING: (Skipping|Unable to|Required program)|^WARNING: All targets skipped|^SKIPPED |, [0-9]+ skipped|[= ][0-9]+ skipped'

# What the tools print of a failure, ahead of or behind pages of other things; a log of CI is often shown by its end alone.
failure_pattern='^(FAILED|ERROR|E  |fatal:|failed:|CRITICAL)|\[ERROR\]'

# told_of_failure LOG: its lines that tell of one, or else its last ones, without colours.
told_of_failure() {
    local plain
    plain=$(sed 's/\x1b\[[0-9;]*m//g' "$1")
    { grep -aE "$failure_pattern" <<<"$plain" || printf '%s\n' "$plain"; } | tail -n 20 | cut -c -500
}

# stage NAME COMMAND...
stage() {
    local name=$1 status=0 verdict=ok started=$SECONDS log
    shift
    log=$logs/${name// /-}.log
    printf '\n=== %s ===\n' "$name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}

    local found=()
    mapfile -t found < <(grep -E "$skip_pattern" "$log" | sort -u)
    for line in "${found[@]}"; do echo "$name: $line"; done >>"$told/skips"

    if [ "$status" != 0 ]; then
        verdict="FAILED (exit status $status)"
    elif [ ${#found[@]} -gt 0 ] && [ "${KUBENODE_NO_SKIP:-}" = 1 ]; then
        verdict="FAILED (skips are not accepted here)"
    elif [ ${#found[@]} -gt 0 ]; then
        verdict="ok, with skips"
    fi
    case $verdict in FAILED*) printf '%s:\n%s\n' "$name" "$(told_of_failure "$log")" >>"$told/failures" ;; esac
    printf '%-26s %4d s  %s\n' "$name" $((SECONDS - started)) "$verdict" >>"$told/summary"
}

run_lint() {
    local scripts
    mapfile -t scripts < <(git grep -lE --untracked '^#!/usr/bin/env bash' -- . ':!.collections')
    stage "ruff check" ruff check
    stage "ruff format" ruff format --check
    stage "mypy" mypy
    stage "ansible-lint" ansible-lint
    stage "yamllint" yamllint --strict .
    stage "shellcheck" shellcheck "${scripts[@]}"
    stage "changelog" antsibull-changelog lint
}

run_sanity() {
    stage "ansible-test sanity" tests/tools/ansible-test.sh sanity
}

run_units() {
    stage "unit tests" tests/tools/units.sh
}

run_contract() {
    stage "contract tests" pytest -n 2 --dist loadfile tests/contract
}

run_release() {
    stage "release" tests/tools/release.sh
}

# These look at nothing of this machine but what they made in namespaces of their own, so that two of them may run at a time.
side_by_side=(
    alert_rules audit_playbook awx bad_input bind_overlap_kernel callback_fleet change_full_disk cluster_snapshot cri_containers docker_stale_names
    fake_api fix_cure fix_interrupted fix_move_nodeport fix_order fix_playbook fix_rollback_image hostile_nodes installed_collection listener_origin memory
    nat_tables node_fixes node_health old_nodes payload pin_stream_port pod_listeners port_selection_kernel privileges pull remedy_commands report_forms report_html
    scheduled_audit seed_001 seed_002 seed_004 service_path services_role socket_age_kernel sysctl_files_oracle sysctl_fixes_kernel toml_lines_oracle whose_port
)
side_by_side=("${side_by_side[@]/#/tests/integration_real/test_}")
side_by_side=("${side_by_side[@]/%/.py}")

run_system_packages() {
    stage "system packages" tests/tools/system-packages.sh
}

run_side_by_side() {
    stage "integration, side by side" pytest -n 2 --dist loadfile "${side_by_side[@]}"
}

run_one_by_one() {
    stage "integration, one by one" pytest tests/integration_real "${side_by_side[@]/#/--ignore=}"
}

run_molecule() {
    stage "molecule" tests/tools/molecule.sh
}

# beside STAGES OTHER...: runs the function while the others run, one after the other; what it prints comes behind what they print.
beside() {
    local log=$logs/beside.log other
    "$1" >"$log" 2>&1 &
    shift
    for other in "$@"; do "$other"; done
    wait
    cat "$log"
}

run_checks() {
    run_lint
    run_sanity
    run_release
}

run_all() {
    run_system_packages
    beside run_checks run_contract run_one_by_one
    beside run_molecule run_units
    run_side_by_side
}

[ $# -gt 0 ] || run_all
for argument in "$@"; do
    case $argument in
        lint) run_lint ;;
        sanity) run_sanity ;;
        units) run_units ;;
        contract) run_contract ;;
        release) run_release ;;
        integration)
            run_system_packages
            run_side_by_side
            run_one_by_one
            ;;
        molecule)
            run_system_packages
            run_molecule
            ;;
        *) echo "unknown stage: $argument" >&2 && exit 2 ;;
    esac
done

# show TITLE FILE: what stages have told, if anything.
show() {
    if [ -s "$told/$2" ]; then printf '\n%s\n' "$1" && cat "$told/$2"; fi
}
show '=== summary ===' summary
show 'Skipped:' skips
show 'Failed:' failures
[ ! -s "$told/failures" ]
