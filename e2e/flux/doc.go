// Package flux has only end-to-end tests: they run keos-oci against a real registry and a real Sigstore, and watch a real
// kube-apiserver with real Flux controllers follow what it does. No kubelet and no containers: all programs run as
// processes on loopback, and most components have ConfigMaps alone. TestMigrate has Deployments, and sets their status as nodes would.
// "make e2e-flux" builds the programs and runs the tests.
package flux
