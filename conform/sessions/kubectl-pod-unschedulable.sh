# kubectl nodes
# A pod that no node takes.
kubectl run web --image=registry.example/web:1 --restart=Never --overrides='{"spec":{"nodeSelector":{"never":"there"}}}'
kubectl wait --for=condition=PodScheduled=False pod/web --timeout=30s
kubectl get pod web -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}'
kubectl get pod web
kubectl delete pod web
