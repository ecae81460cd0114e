# kubectl nodes
# A new image, its history, and the way back.
kubectl create deployment web --image=registry.example/web:1
kubectl rollout status deployment web --timeout=60s
kubectl set image deployment web web=registry.example/web:2
kubectl rollout status deployment web --timeout=60s
kubectl rollout history deployment web
kubectl rollout history deployment web --revision=2
kubectl rollout undo deployment web
kubectl rollout status deployment web --timeout=60s
kubectl rollout history deployment web
kubectl rollout restart deployment web
kubectl rollout status deployment web --timeout=60s
