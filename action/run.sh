#!/usr/bin/env bash
# Turns the action's inputs into one command line. Nothing is evaluated: inputs come by the environment, names are split at
# blanks, and args at the ends of lines.
set -euo pipefail
set -f # a name is no pattern
read -r -a components -d '' <<<"$INPUT_COMPONENTS" || true
read -r -a variants -d '' <<<"$INPUT_VARIANT" || true
more=()
while IFS= read -r line || [ -n "$line" ]; do # macOS has a bash without mapfile
  line=${line%$'\r'}
  [[ $line =~ ^[[:space:]]*$ ]] || more+=("$line")
done <<<"$INPUT_ARGS"
report=$RUNNER_TEMP/keos-oci/report.md
mkdir -p "$RUNNER_TEMP/keos-oci"
: >"$report"
echo "report=$report" >>"$GITHUB_OUTPUT"

fail() { echo "::error title=keos-oci::$1"; exit 2; }
keos() { keos-oci -C "$INPUT_DIRECTORY" --report "$report" ${INPUT_REGISTRY:+--registry "$INPUT_REGISTRY"} "$@"; }
all() { keos-oci -C "$INPUT_DIRECTORY" ${INPUT_REGISTRY:+--registry "$INPUT_REGISTRY"} components | awk 'NR > 1 { print $1 }'; }
for name in ${components[@]+"${components[@]}"}; do [[ $name == -* ]] && fail "components: $name is no name"; done

case $INPUT_COMMAND in
publish)
  keos publish ${components[@]+"${components[@]}"} ${INPUT_VERSION:+--version "$INPUT_VERSION"} ${more[@]+"${more[@]}"}
  ;;
check | audit)
  keos "$INPUT_COMMAND" ${components[@]+"${components[@]}"} ${more[@]+"${more[@]}"}
  ;;
promote | rollback)
  [ ${#components[@]} -gt 0 ] || fail "$INPUT_COMMAND needs components"
  [ "$INPUT_COMMAND" = rollback ] || [ -n "$INPUT_VERSION" ] || fail "promote needs a version"
  items=$RUNNER_TEMP/keos-oci/items
  for name in "${components[@]}"; do echo "$name $INPUT_VERSION"; done >"$items" # all are verified before the first one moves
  keos "$INPUT_COMMAND" --from-file "$items" ${INPUT_CHANNEL:+--channel "$INPUT_CHANNEL"} ${INPUT_REASON:+--reason "$INPUT_REASON"} \
    ${more[@]+"${more[@]}"}
  ;;
diff)
  if [ ${#components[@]} -eq 0 ]; then
    names=$(all)
    read -r -a components -d '' <<<"$names" || true
  fi
  flags=(--allow-missing)
  for v in ${variants[@]+"${variants[@]}"}; do flags+=(--variant "$v"); done
  for name in "${components[@]}"; do
    keos diff "$name" "${INPUT_FROM:-${INPUT_CHANNEL:-latest}}" ${INPUT_TO:+"$INPUT_TO"} "${flags[@]}" ${more[@]+"${more[@]}"}
  done
  if grep -q '^changed=true$' "$GITHUB_OUTPUT"; then echo changed=true >>"$GITHUB_OUTPUT"; fi # of any, not of the last
  ;;
generate)
  [ ${#more[@]} -gt 0 ] || fail "generate needs args: the subcommand and its flags, one on each line"
  keos generate "${more[@]}"
  ;;
*) fail "command: want publish, promote, rollback, check, diff, audit or generate" ;;
esac
