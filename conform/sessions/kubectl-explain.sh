# kubectl
# What fields there are.
kubectl explain configmap.data
kubectl explain deployment.spec.replicas
kubectl explain pod.spec.nonsense || true
