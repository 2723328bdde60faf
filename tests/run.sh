#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/run.sh [lint|sanity|units|contract|integration|molecule]...     (all of them when none is named)
# Runs each stage to its end, whatever the others said, then tells what failed, what was skipped and how long everything took.
# KUBENODE_NO_SKIP=1 turns a skip into a failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

venv=$PWD/.venv/bin
export PATH=$venv:$PATH:/usr/sbin:/sbin
export ANSIBLE_CONFIG=$PWD/ansible.cfg
logs=$PWD/.cache/logs
mkdir -p "$logs"

summary=()
skips=()
failures=()
failed=0

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
    for line in "${found[@]}"; do skips+=("$name: $line"); done

    if [ "$status" != 0 ]; then
        verdict="FAILED (exit status $status)"
    elif [ ${#found[@]} -gt 0 ] && [ "${KUBENODE_NO_SKIP:-}" = 1 ]; then
        verdict="FAILED (skips are not accepted here)"
    elif [ ${#found[@]} -gt 0 ]; then
        verdict="ok, with skips"
    fi
    case $verdict in FAILED*)
        failed=1
        failures+=("$name:" "$(told_of_failure "$log")")
        ;;
    esac
    summary+=("$(printf '%-22s %4d s  %s' "$name" $((SECONDS - started)) "$verdict")")
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
    stage "release" tests/tools/release.sh
}

# These look at nothing of this machine but what they made in namespaces of their own, so that two of them may run at a time.
side_by_side=(
    alert_rules audit_playbook awx bad_input bind_overlap_kernel callback_fleet change_full_disk cluster_snapshot cri_containers docker_stale_names
    fake_api fix_cure fix_interrupted fix_move_nodeport fix_order fix_playbook fix_rollback_image hostile_nodes installed_collection listener_origin memory
    nat_tables node_fixes node_health old_nodes payload pin_stream_port pod_listeners port_selection_kernel privileges pull remedy_commands report_forms report_html
    scheduled_audit seed_001 seed_002 seed_004 service_path services_role sysctl_files_oracle sysctl_fixes_kernel toml_lines_oracle whose_port
)

run_integration() {
    local files=("${side_by_side[@]/#/tests/integration_real/test_}")
    files=("${files[@]/%/.py}")
    stage "system packages" tests/tools/system-packages.sh
    stage "integration, side by side" pytest -n 2 --dist loadfile "${files[@]}"
    stage "integration tests" pytest tests/integration_real "${files[@]/#/--ignore=}"
}

run_molecule() {
    stage "system packages" tests/tools/system-packages.sh
    stage "molecule" tests/tools/molecule.sh
}

[ $# -gt 0 ] || set -- lint sanity units contract integration molecule
for argument in "$@"; do
    case $argument in
        lint) run_lint ;;
        sanity) run_sanity ;;
        units) run_units ;;
        contract) run_contract ;;
        integration) run_integration ;;
        molecule) run_molecule ;;
        *) echo "unknown stage: $argument" >&2 && exit 2 ;;
    esac
done

printf '\n=== summary ===\n'
printf '%s\n' "${summary[@]}"
if [ ${#skips[@]} -gt 0 ]; then
    printf '\nSkipped:\n'
    printf '  %s\n' "${skips[@]}"
fi
if [ $failed != 0 ]; then
    printf '\nFailed:\n'
    printf '%s\n' "${failures[@]}"
fi
exit $failed
