# kubectl nodes
# A rollout that is paused and resumed.
kubectl create deployment web --image=registry.example/web:1
kubectl rollout status deployment web --timeout=60s
kubectl rollout pause deployment web
kubectl set image deployment web web=registry.example/web:2
kubectl rollout resume deployment web
kubectl rollout resume deployment web || true
kubectl rollout status deployment web --timeout=60s
