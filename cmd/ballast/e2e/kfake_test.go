//go:build !apachekafka

package e2e_test

// broker is what `ballast up --broker` is given.
const broker = "kfake"
