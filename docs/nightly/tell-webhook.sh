#!/bin/sh
# on-decision = "./tell-webhook.sh", and the environment has WEBHOOK_URL
set -eu
jq '{text: "night \(.night): \(.verdict): \(.reason)"}' |
  curl --fail --silent --show-error --retry 3 --max-time 60 \
    --header 'Content-Type: application/json' --data-binary @- "$WEBHOOK_URL"
