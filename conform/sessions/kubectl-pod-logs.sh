# kubectl nodes
# A pod that runs, and its end.
kubectl run web --image=registry.example/web:1 --restart=Never
kubectl wait --for=condition=Ready pod/web --timeout=60s
kubectl get pod web -o jsonpath='{.status.phase} {.status.qosClass} {.spec.nodeName}'
kubectl get pod web
kubectl logs web
kubectl logs web -c nothing || true
kubectl delete pod web --now
kubectl get pods
