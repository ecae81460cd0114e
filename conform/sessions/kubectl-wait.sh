# kubectl nodes
# Waiting for a condition, for a value, and for an end.
kubectl create deployment web --image=registry.example/web:1
kubectl wait --for=condition=Available deployment/web --timeout=60s
kubectl wait --for=jsonpath='{.status.readyReplicas}'=1 deployment/web --timeout=60s
kubectl wait --for=condition=Nonsense deployment/web --timeout=1s || true
kubectl delete deployment web --wait=false
kubectl wait --for=delete deployment/web --timeout=60s
