package bot

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wenzihq/wenzi/oa"
)

// config is an account as it is stored. Its fields hide those of the Account
// they are named after, so that secrets are written in clear and the mode by
// its name.
type config struct {
	Account
	Token          string       `json:"token"`
	PreviousToken  string       `json:"previous_token,omitempty"`
	AppSecret      string       `json:"app_secret,omitempty"`
	AESKey         string       `json:"aes_key,omitempty"`
	PreviousAESKey string       `json:"previous_aes_key,omitempty"`
	Mode           string       `json:"mode"`
	Model          *modelConfig `json:"model,omitempty"`
}

type modelConfig struct {
	Model
	Endpoints []endpointConfig `json:"endpoints"`
}

type endpointConfig struct {
	Endpoint
	Key string `json:"key,omitempty"`
}

// MarshalConfig returns the account as JSON with its secrets in clear. It is
// for the store, and for nothing that anybody sees.
func MarshalConfig(a Account) ([]byte, error) {
	c := config{
		Account:        a,
		Token:          a.Token.Reveal(),
		PreviousToken:  a.PreviousToken.Reveal(),
		AppSecret:      a.AppSecret.Reveal(),
		AESKey:         a.AESKey.Reveal(),
		PreviousAESKey: a.PreviousAESKey.Reveal(),
		Mode:           a.Mode.String(),
	}
	if !a.Model.IsZero() {
		c.Model = &modelConfig{Model: a.Model}
		for _, e := range a.Model.Endpoints {
			c.Model.Endpoints = append(c.Model.Endpoints, endpointConfig{e, e.Key.Reveal()})
		}
	}
	return json.Marshal(c)
}

// UnmarshalConfig is the inverse of [MarshalConfig]. It refuses what cannot be
// served, such as an account whose secrets were masked on their way.
func UnmarshalConfig(data []byte) (Account, error) {
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return Account{}, fmt.Errorf("stored account: %w", err)
	}
	mode, err := oa.ParseMode(c.Mode)
	if err != nil {
		return Account{}, fmt.Errorf("stored account: %w", err)
	}
	a := c.Account
	a.Token = Secret(c.Token)
	a.PreviousToken = Secret(c.PreviousToken)
	a.AppSecret = Secret(c.AppSecret)
	a.AESKey = Secret(c.AESKey)
	a.PreviousAESKey = Secret(c.PreviousAESKey)
	a.Mode = mode
	if c.Model != nil {
		a.Model = c.Model.Model
		for _, e := range c.Model.Endpoints {
			e.Endpoint.Key = Secret(e.Key)
			a.Model.Endpoints = append(a.Model.Endpoints, e.Endpoint)
		}
	}
	if a.Token == Mask {
		return Account{}, errors.New("stored account: its secrets are masked; apply its file again with the secrets in clear")
	}
	callback := a.Callback()
	if err := callback.Validate(); err != nil {
		return Account{}, fmt.Errorf("stored account: %w", err)
	}
	return a, nil
}
