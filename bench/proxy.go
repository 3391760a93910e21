package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// proxy passes requests on to a registry, counts the requests and delays each.
type proxy struct {
	requests atomic.Int64
	delay    atomic.Int64 // nanoseconds
}

// proxyMain serves a proxy until stdin ends, so that it never outlives the benchmark. Its address is the first line of
// stdout; then stdin and stdout are its control.
func proxyMain(args []string) error {
	flags := flag.NewFlagSet("bench proxy", flag.ContinueOnError)
	to := flags.String("to", "", "address of the registry")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var p proxy
	server := &http.Server{Handler: p.handler(&url.URL{Scheme: "http", Host: *to}), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 2)
	go func() { done <- server.Serve(l) }()
	fmt.Println(l.Addr())
	go func() { done <- p.control(os.Stdin, os.Stdout) }()
	return errors.Join(<-done, server.Close())
}

func (p *proxy) handler(upstream *url.URL) http.Handler {
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host // else the registry's redirects would lead past the proxy
		},
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		time.Sleep(time.Duration(p.delay.Load()))
		reverse.ServeHTTP(w, r)
	})
}

// control reads one delay per line and uses it from then on. It answers each line with the number of requests since the
// line before.
func (p *proxy) control(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		delay, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		p.delay.Store(int64(delay))
		if _, err := fmt.Fprintln(out, p.requests.Swap(0)); err != nil {
			return err
		}
	}
	return lines.Err()
}
