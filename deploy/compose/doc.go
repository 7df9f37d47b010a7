// Package compose has the configuration of what docker-compose.yml starts. Its tests
// check that file as far as that can be done without a daemon.
package compose
