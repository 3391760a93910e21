package registrytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/sirupsen/logrus"
)

// Content is what a registry in a folder has, by path. Tests that need hundreds of copies of one registry keep them in memory: to copy
// folders takes longer than the commands that they test.
type Content map[string][]byte

// ReadContent reads the folder of a registry.
func ReadContent(dir fs.FS) (Content, error) {
	c := Content{}
	return c, fs.WalkDir(dir, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		c["/"+path], err = fs.ReadFile(dir, path)
		return err
	})
}

// Handler serves a copy of the content, by the same registry as embedded.Handler. It stops its background work when ctx ends.
func (c Content) Handler(ctx context.Context) (_ http.Handler, err error) {
	registerMemory()
	store := inmemory.New()
	for path, data := range c {
		if err := store.PutContent(ctx, path, data); err != nil {
			return nil, err
		}
	}
	config := &configuration.Configuration{
		Version: configuration.CurrentVersion,
		Storage: configuration.Storage{
			memoryDriver:  {"store": store},
			"delete":      {"enabled": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
	}
	config.HTTP.RelativeURLs = true
	config.HTTP.Secret = "memory"
	config.Log.AccessLog.Disabled = true
	defer func() {
		if r := recover(); r != nil { // how handlers.NewApp reports a bad configuration
			err = fmt.Errorf("registry in memory: %v", r)
		}
	}()
	return handlers.NewApp(ctx, config), nil
}

// memoryDriver is the name of the driver of a store that exists already.
const memoryDriver = "registrytest"

var registerMemory = sync.OnceFunc(func() {
	logrus.SetOutput(io.Discard) // distribution logs each request to logrus's only logger
	logrus.SetLevel(logrus.PanicLevel)
	factory.Register(memoryDriver, given{})
})

// given makes no store but takes the one that it is given.
type given struct{}

func (given) Create(_ context.Context, parameters map[string]any) (driver.StorageDriver, error) {
	store, ok := parameters["store"].(driver.StorageDriver)
	if !ok {
		return nil, errors.New("no store is given")
	}
	return store, nil
}
