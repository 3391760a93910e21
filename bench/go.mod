module github.com/stratio/keos-oci/bench

go 1.26
