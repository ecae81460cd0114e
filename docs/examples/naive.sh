#!/bin/sh
# What many installers amount to: ask Helm, believe Helm.
set -e
helm upgrade --install karpenter oci://public.ecr.aws/karpenter/karpenter --namespace kube-system \
  --set "settings.clusterName=$CLUSTER_NAME" --wait --timeout "${1:-10m}" >&2
echo '{ "ok": true, "status": "completed_phase", "phase": "compute", "blockers": [], "next": { "action": "install", "phase": "core" } }'
