// Package embedded is a registry in this process, kept in a folder: for demos, tests and air-gapped trials. It is CNCF
// distribution's own handler on its filesystem driver, so what it accepts and refuses is what a real registry does.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the driver named in the configuration
	"github.com/sirupsen/logrus"
)

// Handler serves the registry kept in dir, which is made if need be. It stops its background work when ctx ends.
func Handler(ctx context.Context, dir string) (_ http.Handler, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("registry folder: %w", err)
	}
	logrus.SetOutput(io.Discard) // distribution logs each request to logrus's only logger
	config := &configuration.Configuration{
		Version: configuration.CurrentVersion,
		Storage: configuration.Storage{
			"filesystem":  {"rootdirectory": dir},
			"delete":      {"enabled": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
	}
	config.HTTP.RelativeURLs = true
	config.HTTP.Secret = "embedded" // it guards upload states against other front ends; there are none
	config.Log.AccessLog.Disabled = true
	defer func() {
		if r := recover(); r != nil { // how handlers.NewApp reports a bad folder
			err = fmt.Errorf("registry folder %s: %v", dir, r)
		}
	}()
	return handlers.NewApp(ctx, config), nil
}

// Serve answers on l until ctx ends, then lets running requests finish for a moment.
func Serve(ctx context.Context, l net.Listener, dir string) error {
	handler, err := Handler(ctx, dir)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
