package event

import (
	"encoding/base64"
	"strings"
)

// PixelData returns the body in a tracking pixel's data parameter: base64 of
// either alphabet, padded or not, with the pluses that a query turned into
// spaces, or JSON as it is.
func PixelData(data string) ([]byte, error) {
	data = strings.TrimSpace(data)
	if strings.HasPrefix(data, "{") {
		return []byte(data), nil
	}
	data = strings.NewReplacer(" ", "+", "-", "+", "_", "/").Replace(strings.TrimRight(data, "="))
	body, err := base64.RawStdEncoding.DecodeString(data)
	if err != nil {
		return nil, &Error{BadJSON, "data is neither base64 nor JSON"}
	}
	return body, nil
}
