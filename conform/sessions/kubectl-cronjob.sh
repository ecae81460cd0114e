# kubectl
# A CronJob that does not come due.
kubectl create cronjob yearly --image=registry.example/job:1 --schedule='0 3 1 1 *'
kubectl get cronjob yearly
kubectl get cronjob yearly -o yaml
kubectl create cronjob wrong --image=registry.example/job:1 --schedule='whenever' || true
kubectl patch cronjob yearly -p '{"spec":{"suspend":true}}'
kubectl delete cronjob yearly
