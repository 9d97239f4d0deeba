package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Load fills the struct that into points to from environment variables, by the
// fields' tags: env names the variable, default is what it is when not set,
// required:"true" that it must be, enum the values it may have, and help what it
// is for. Set to nothing counts as not set. A field may be a string, int, bool,
// time.Duration, []string (separated by commas), or have UnmarshalText. The
// error lists everything wrong, with what each variable is for.
func Load(into any, lookup func(variable string) (value string, ok bool)) error {
	return load(into, lookup, func(f reflect.StructField) (wanted, required bool) { return true, f.Tag.Get("required") == "true" })
}

func load(into any, lookup func(string) (string, bool), how func(reflect.StructField) (wanted, required bool)) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: %T is no pointer to a struct", into))
	}
	var errs []error
	for field, value := range v.Elem().Fields() {
		name := field.Tag.Get("env")
		wanted, required := how(field)
		if name == "" || !wanted {
			continue
		}
		text, _ := lookup(name)
		if text == "" {
			text = field.Tag.Get("default")
		}
		if text == "" {
			if required {
				errs = append(errs, fmt.Errorf("%s is not set: %s", name, field.Tag.Get("help")))
			}
			continue
		}
		if err := check(field, text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		} else if err := set(value, text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w: %s", name, err, field.Tag.Get("help")))
		}
	}
	return errors.Join(errs...)
}

// check holds a text to the field's enum.
func check(field reflect.StructField, text string) error {
	enum := field.Tag.Get("enum")
	if enum == "" || slices.Contains(strings.Split(enum, ","), text) {
		return nil
	}
	return fmt.Errorf("%q is none of %s: %s", text, strings.ReplaceAll(enum, ",", ", "), field.Tag.Get("help"))
}

func set(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*p = b
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 10s or 5m", text)
		}
		*p = d
	case *[]string:
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
	default:
		panic(fmt.Sprintf("config: a field cannot be a %s", v.Type()))
	}
	return nil
}
