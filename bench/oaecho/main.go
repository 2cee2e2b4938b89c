// Command oaecho is package oa in a plain net/http server: it echoes texts. Its
// flags and defaults are those of bench/loadgen, which measures it.
package main

import (
	"context"
	"flag"
	"log" //nolint:depguard // a main of forty lines
	"net/http"
	_ "net/http/pprof"

	"github.com/wenzihq/wenzi/oa"
)

func main() {
	var account oa.Account
	listen := flag.String("listen", "127.0.0.1:19091", "loopback address")
	mode := flag.String("mode", "secure", "plain, compat or secure")
	pprof := flag.String("pprof", "", "serve net/http/pprof here")
	flag.StringVar(&account.Token, "token", "loadgentoken", "")
	flag.StringVar(&account.AppID, "appid", "wx0123456789abcdef", "")
	flag.StringVar(&account.AESKey, "aeskey", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "")
	flag.String("gh", "gh_0123456789ab", "the account's original ID; deliveries carry it")
	flag.Parse()

	var err error
	if account.Mode, err = oa.ParseMode(*mode); err != nil {
		log.Fatal(err)
	}
	mux := oa.NewMux()
	oa.On(mux, func(_ context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text(m.Content) })
	server, err := oa.NewServer(account, mux)
	if err != nil {
		log.Fatal(err)
	}
	if *pprof != "" {
		go func() { log.Print(http.ListenAndServe(*pprof, nil)) }()
	}
	log.Fatal((&http.Server{Addr: *listen, Handler: server}).ListenAndServe())
}
