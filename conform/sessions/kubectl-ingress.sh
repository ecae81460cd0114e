# kubectl
# An Ingress, and one that is wrong.
kubectl create ingress web --rule='example.com/=web:80'
kubectl get ingress web
kubectl get ingress web -o yaml
kubectl create ingress wrong --rule='Not_A_Host/=web:80' || true
kubectl delete ingress web
