package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/rules"
)

type checkCmd struct {
	Files []string `arg:"" help:"Projects' YAML files; keys.yaml, and what looks like it, is checked as the keys document."`
	JSON  bool     `name:"json" help:"Print the problems as a JSON array."`
}

// Help is the long help of the command.
func (*checkCmd) Help() string {
	return `Every problem is a line on standard output: file:line:column: the expression: what
is wrong. Exit code 1 when there is any.`
}

func (c *checkCmd) Run() error {
	problems := project.Problems{}
	for _, name := range c.Files {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if filepath.Base(name) == project.KeysName+".yaml" || project.IsKeys(data) {
			_, err = project.ParseKeys(name, data)
		} else {
			_, err = rules.Parse(name, data)
		}
		if found, ok := errors.AsType[project.Problems](err); ok {
			problems = append(problems, found...)
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if c.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(problems); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Println(p)
		}
	}
	if len(problems) > 0 {
		return errFailed
	}
	return nil
}
