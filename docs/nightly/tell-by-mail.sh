#!/bin/sh
# on-decision = ["./tell-by-mail.sh", "team@example.org"]
set -eu
decision=$(cat)
subject=$(printf '%s' "$decision" | jq -r '"night \(.night): \(.verdict): \(.reason)"')
printf '%s' "$decision" | jq 'del(.settings, .versions)' | mail -s "$subject" "$1"
