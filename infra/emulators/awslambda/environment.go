package awslambda

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// reserved are the variables a function cannot set: Lambda refuses to create it
// (docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// maxEnvironment is how many bytes all variables of a function may have.
const maxEnvironment = 4 << 10

// checkEnvironment refuses what Lambda would.
func checkEnvironment(env map[string]string) error {
	size := 0
	for name, value := range env {
		if slices.Contains(reserved, name) {
			return fmt.Errorf("the variable %s is reserved by Lambda", name)
		}
		size += len(name) + len(value)
	}
	if size > maxEnvironment {
		return fmt.Errorf("the variables have %d bytes, and may have %d", size, maxEnvironment)
	}
	return nil
}

// environment is all that a sandbox's process sees: what Lambda sets for the
// runtime provided.al2023, which defines no AWS_EXECUTION_ENV, and what the
// function was given. Nothing of this process's own.
func (f *Function) environment(api, stream, root string) []string {
	vars := map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          api,
		"_HANDLER":                        f.Handler,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.memoryMB()),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      stream,
		"AWS_REGION":                      f.region(),
		"AWS_DEFAULT_REGION":              f.region(),
		"LAMBDA_TASK_ROOT":                root,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"TZ":                              ":UTC",
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": f.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": f.Credentials.SecretAccessKey,
		"AWS_SESSION_TOKEN": f.Credentials.SessionToken,
	} {
		if value != "" {
			vars[name] = value
		}
	}
	maps.Copy(vars, f.Env)
	maps.Copy(vars, f.Endpoints)
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// region is where the function's ARN says it is.
func (f *Function) region() string {
	if parts := strings.Split(f.ARN, ":"); len(parts) > 3 && parts[3] != "" {
		return parts[3]
	}
	return "us-east-1"
}

func (f *Function) arn() string {
	if f.ARN != "" {
		return f.ARN
	}
	return "arn:aws:lambda:us-east-1:123456789012:function:" + f.Name
}

func (f *Function) memoryMB() int {
	if f.MemoryMB > 0 {
		return f.MemoryMB
	}
	return 128
}
