package licence

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	apache = "Apache License\n   Version 2.0, January 2004\n"
	mit    = "Permission is hereby granted, free of charge, to any person\nobtaining a copy of this software"
	bsd2   = "Redistribution and use in source and binary forms, with or without modification, are permitted"
	bsd3   = bsd2 + "\n * Neither the name of Google Inc. nor the names of its contributors"
	mpl    = "Mozilla Public License, version 2.0\n\"Secondary License\" means either the GNU General Public License, Version 2.0"
	gpl    = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007"
)

func TestIdentify(t *testing.T) {
	for text, want := range map[string][]string{
		apache:                          {"Apache-2.0"},
		mit:                             {"MIT"},
		bsd2:                            {"BSD-2-Clause"},
		bsd3:                            {"BSD-3-Clause"},
		mpl:                             {"MPL-2.0"},
		gpl:                             {"GPL-3.0-only"},
		apache + "\n---\n" + mit + bsd3: {"Apache-2.0", "MIT", "BSD-3-Clause"},
		"All rights reserved.":          nil,
	} {
		if got := Identify(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%.40q: %v, want %v", text, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil {
		t.Error("an empty folder has a licence")
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("LICENSE.md", mit)
	write("Copying", bsd3)
	write("LICENSING.txt", gpl) // not its licence
	ids, err := Read(dir)
	if err != nil || strings.Join(ids, " ") != "BSD-3-Clause MIT" || !Allowed(ids) {
		t.Errorf("got %v, %v", ids, err)
	}
	if ids, err = Shippable(dir); err != nil || len(ids) != 2 {
		t.Errorf("shipping %v: %v", ids, err)
	}
	write("LICENSE-GPL", gpl) // neither: another's name
	write("LICENCE", gpl)
	if ids, err = Read(dir); err != nil || Allowed(ids) {
		t.Errorf("with the GPL beside: %v, %v, allowed", ids, err)
	}
	if ids, err = Shippable(dir); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("shipping %v: %v", ids, err)
	}
	write("LICENCE", "ask me")
	if ids, err = Read(dir); err == nil {
		t.Errorf("an unknown licence is %v", ids)
	}
	if Allowed(nil) {
		t.Error("no licence is allowed")
	}
}

// TestOurOwn: what is shipped is under Apache-2.0.
func TestOurOwn(t *testing.T) {
	if ids, err := Read("../../.."); err != nil || strings.Join(ids, " ") != "Apache-2.0" {
		t.Errorf("%v, %v", ids, err)
	}
}
