package testkit

import (
	"net"
	"sync/atomic"
	"testing"
)

// Silenced returns the address of a proxy in front of a server, and a function
// after which the connections that it has go silent without being closed, as
// behind a firewall that has lost its state. New ones work.
func Silenced(t testing.TB, server string) (address string, silence func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	var era atomic.Int64
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			upstream, err := new(net.Dialer).DialContext(t.Context(), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			born := era.Load()
			lives := func() bool { return era.Load() == born }
			go pipe(client, upstream, lives)
			go pipe(upstream, client, lives)
		}
	}()
	return ln.Addr().String(), func() { era.Add(1) }
}

// pipe copies for as long as the connection lives, and swallows from then on.
func pipe(to, from net.Conn, lives func() bool) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if lives() {
			_, _ = to.Write(buffer[:n]) // Reading tells soon enough that it is closed.
		}
	}
}
