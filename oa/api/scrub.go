package api

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

var (
	secretNames     = `(?:component_)?(?:access_token|(?:app)?secret)|(?:authorizer_)?(?:refresh_token|access_token)|(?:auth(?:orization)?_|pre_auth_)?code|(?:component_verify_)?ticket`
	secretInQuery   = regexp.MustCompile(`(?i)\b(` + secretNames + `)=[^&\s"']+`)
	secretInJSON    = regexp.MustCompile(`"(?:` + secretNames + `)"\s*:\s*"([^"]+)"`)
	openIDInText    = regexp.MustCompile(`\bo[A-Za-z0-9_-]{25,}`)
	secretParameter = regexp.MustCompile(`^(?:` + secretNames + `)$`)
)

// scrub takes everything out of a text that must not be read in a log: the
// given secrets, whatever looks like a secret in an address, and OpenIDs.
func scrub(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, "***")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "***")
		}
	}
	text = secretInQuery.ReplaceAllString(text, "$1=***")
	return openIDInText.ReplaceAllString(text, "o***")
}

// secretsOf lists the secrets a request carries.
func secretsOf(in input, body []byte) []string {
	var secrets []string
	for _, p := range in.query {
		if secretParameter.MatchString(p.name) {
			secrets = append(secrets, p.value)
		}
	}
	for _, m := range secretInJSON.FindAllSubmatch(body, -1) {
		secrets = append(secrets, string(m[1]))
	}
	return secrets
}

// scrubbedError is a transport's error whose text has no secrets.
type scrubbedError struct {
	text string
	err  error
}

func (e scrubbedError) Error() string { return e.text }
func (e scrubbedError) Unwrap() error { return e.err }

// scrubError removes the address from a transport's error. [url.Error] prints
// the whole address with the token in it, and everything below is wrapped
// again so that no other way leads to one.
func scrubError(err error, secrets []string) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return scrubbedError{text: scrub(err.Error(), secrets), err: err}
}
