package render

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/stratio/keos-oci/internal/release"
)

// TestViewsAddNothing: the JSON and the YAML of a view are those of its result, byte for byte.
func TestViewsAddNothing(t *testing.T) {
	for _, view := range []Result{
		&Components{}, &Explain{}, &Check{}, &Baseline{}, &Publish{}, &Move{}, &Status{}, &History{}, &Audit{}, &Verify{Explains: true}, &Pull{},
		&List{}, &Diff{},
	} {
		value := reflect.ValueOf(view).Elem()
		fill(value.Field(0))
		result := value.Field(0).Interface()
		for name, write := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "YAML": yaml.Marshal} {
			got, err := write(value.Interface())
			want, other := write(result)
			if err != nil || other != nil || !bytes.Equal(got, want) {
				t.Errorf("%T as %s: %s, want %s (%v, %v)", view, name, got, want, err, other)
			}
			if len(want) < 20 {
				t.Errorf("%T: %s", view, want)
			}
		}
	}
}

// fill puts something into each field, each list and each pointer.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("a < b & c")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	}
}

// TestBriefLeavesResultsAlone: an output has no texts of diffs, and the result still has them.
func TestBriefLeavesResultsAlone(t *testing.T) {
	r := Diff{&release.DiffResult{Files: []release.FileDiff{{Path: "x", Diff: "+a\n"}},
		Objects: []release.ObjectDiff{{Name: "y", Diff: "+b\n"}}}}
	brief, err := json.Marshal(r.Brief())
	if err != nil || bytes.Contains(brief, []byte("+a")) || bytes.Contains(brief, []byte("+b")) || !bytes.Contains(brief, []byte(`"x"`)) {
		t.Errorf("%s %v", brief, err)
	}
	if r.Files[0].Diff == "" || r.Objects[0].Diff == "" {
		t.Error("the result has lost its texts")
	}
}
