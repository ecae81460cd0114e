# kubectl nodes
# A DaemonSet on the nodes that there are.
printf '%s\n' 'apiVersion: apps/v1' 'kind: DaemonSet' 'metadata: {name: agent}' 'spec:' '  selector: {matchLabels: {app: agent}}' '  template:' '    metadata: {labels: {app: agent}}' '    spec: {containers: [{name: main, image: "agent:1"}]}' > s.yaml
kubectl apply -f s.yaml
kubectl rollout status daemonset agent --timeout=60s
kubectl get daemonset agent
kubectl delete daemonset agent
