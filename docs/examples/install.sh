#!/bin/sh
# Karpenter by shell script, under the installer contract: look first, change little, verify, say one thing.
set -u
total=null ready=null healthy=null exists=null existed=null status=null revision=null ran=false repair=false controller=false

finish() { # exit code, status, next action, next phase; and of a blocker: code, message, remediation
  [ "$1" = 0 ] && ok=true || ok=false
  message=$(printf %s "${6-}" | tr '"\\\n\t' "'/  ")
  [ $# = 4 ] || set -- "$1" "$2" "$3" "$4" "{ \"code\": \"$5\", \"message\": \"$message\", \"remediation\": \"$7\" }"
  cat <<RESULT
{ "schemaVersion": 1, "ok": $ok, "status": "$2", "phase": "compute", "next": { "action": "$3", "phase": $4 }, "blockers": [${5-}],
  "evidence": { "phase3": { "platform": { "nodesTotal": $total, "nodesReady": $ready, "platformHealthy": $healthy },
    "karpenter": { "release": { "exists": $exists, "status": $status, "revision": $revision }, "existed": $existed, "installed": $exists,
      "scriptRan": $ran, "repairAttempted": $repair, "controllerReady": $controller } } } }
RESULT
  exit "$1"
}
release() { # reads the release; what Helm cannot tell is never "not installed"
  exists=true
  said=$(helm status karpenter --namespace kube-system 2>&1) || case $said in
    *"release: not found"*) exists=false ;;
    *) exists=null && finish 4 error stop null HELM_CANNOT_ANSWER "$said" 'Find out why helm status fails.' ;;
  esac
  status=$(echo "$said" | sed -n 's/^STATUS: \(.*\)/"\1"/p')
  revision=$(echo "$said" | sed -n 's/^REVISION: //p')
  status=${status:-null} revision=${revision:-null}
}

# The gate: without a Ready node nothing is changed.
conditions=$(kubectl get nodes -o jsonpath='{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.message}{"\n"}{end}' 2>&1) ||
  finish 4 error stop null CLUSTER_UNREACHABLE "$conditions" 'Check KUBECONFIG and the network.'
total=$(echo "$conditions" | grep -c .) ready=$(echo "$conditions" | grep -c ^True) healthy=false
[ "$total" != 0 ] || finish 3 blocked_phase fix '"foundation"' NO_NODES_AVAILABLE 'The cluster has no worker node.' 'Add a node group.'
[ "$ready" != 0 ] || finish 3 blocked_phase fix '"foundation"' NO_READY_NODES "No node is Ready: $conditions" 'See kubectl describe nodes.'
healthy=true

# Install what is absent, repair what has failed, leave alone what is deployed or in somebody's hands.
release && existed=$exists code=KARPENTER_CONTROLLER_NOT_READY upgrade=
case $status in
  '"deployed"') ;;
  null | '"failed"')
    $exists && repair=true || ran=true
    upgrade=$(helm upgrade --install karpenter oci://public.ecr.aws/karpenter/karpenter --version 1.8.3 --namespace kube-system \
      --create-namespace --reuse-values --set "settings.clusterName=$CLUSTER_NAME" \
      --set "replicas=${EKS_INSTALLER_KARPENTER_REPLICAS:-2}" --wait --timeout "${EKS_INSTALLER_HELM_TIMEOUT:-10m}" 2>&1) ||
      code=KARPENTER_SETUP_FAILED
    release ;;
  *) finish 1 error stop null KARPENTER_RELEASE_LOCKED "The release is $status." 'Wait for whoever is at work.' ;;
esac

# What Helm says is not evidence; the Deployment is.
rollout=$(kubectl rollout status deployment/karpenter --namespace kube-system --timeout "${EKS_INSTALLER_READY_TIMEOUT:-5m}" 2>&1) &&
  controller=true && finish 0 completed_phase install '"core"'
events=$(kubectl get events --namespace kube-system --field-selector type=Warning -o jsonpath='{.items[*].message}' 2>&1)
finish 1 error stop null $code "$upgrade $rollout $events" 'Mend the cause and run again.'
