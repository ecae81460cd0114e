# kubectl nodes
# A StatefulSet with a headless Service.
kubectl create service clusterip db --clusterip=None
printf '%s\n' 'apiVersion: apps/v1' 'kind: StatefulSet' 'metadata: {name: db}' 'spec:' '  serviceName: db' '  replicas: 2' '  selector: {matchLabels: {app: db}}' '  template:' '    metadata: {labels: {app: db}}' '    spec: {containers: [{name: main, image: "db:1"}]}' > s.yaml
kubectl apply -f s.yaml
kubectl rollout status statefulset db --timeout=60s
kubectl get pods -l app=db
kubectl scale statefulset db --replicas=1
kubectl patch statefulset db -p '{"spec":{"serviceName":"other"}}' || true
kubectl delete statefulset db --cascade=orphan
