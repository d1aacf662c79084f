// A workload that knows nothing of Palisade: go-spiffe against whatever SPIFFE_ENDPOINT_SOCKET names.
// Prints one JSON object, or the error with exit status 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/status"
)

type result map[string]any

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	commands := map[string]func(context.Context, []string) (result, error){
		"x509":   fetchX509,
		"jwt":    fetchJWT,
		"get":    get,
		"bundle": fetchBundle,
		"watch":  watch,
	}
	command, known := commands[os.Args[1]]
	if !known {
		fmt.Fprintln(os.Stderr, "unknown command")
		os.Exit(2)
	}
	out, err := command(ctx, os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, _ := json.Marshal(out)
	fmt.Println(string(text))
}

// x509: every SVID with its hint, verified with the bundles of the same answer.
func fetchX509(ctx context.Context, _ []string) (result, error) {
	x509, err := workloadapi.FetchX509Context(ctx)
	if err != nil {
		return nil, err
	}
	svids := []result{}
	for _, svid := range x509.SVIDs {
		id, _, err := x509svid.Verify(svid.Certificates, x509.Bundles)
		if err != nil {
			return nil, err
		}
		svids = append(svids, result{"id": id.String(), "hint": svid.Hint})
	}
	domains := []string{}
	for _, bundle := range x509.Bundles.Bundles() {
		domains = append(domains, bundle.TrustDomain().Name())
	}
	return result{"svids": svids, "bundles": domains}, nil
}

// jwt AUDIENCE FOREIGN: a token, validated here and by the API; and the codes of what must be refused.
func fetchJWT(ctx context.Context, args []string) (result, error) {
	audience := args[0]
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		return nil, err
	}
	bundles, err := workloadapi.FetchJWTBundles(ctx)
	if err != nil {
		return nil, err
	}
	local, err := jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{audience})
	if err != nil {
		return nil, err
	}
	remote, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), audience)
	if err != nil {
		return nil, err
	}
	_, wrongAudience := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "somebody-else")
	_, foreign := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{
		Audience: audience,
		Subject:  spiffeid.RequireFromString(args[1]),
	})
	return result{
		"local":         local.ID.String(),
		"remote":        remote.ID.String(),
		"audience":      remote.Audience,
		"expiresInS":    time.Until(remote.Expiry).Seconds(),
		"token":         svid.Marshal(),
		"wrongAudience": status.Code(wrongAudience).String(),
		"foreign":       status.Code(foreign).String(),
	}, nil
}

// get URL ID: a request over mutual TLS to a server that has to be ID.
func get(ctx context.Context, args []string) (result, error) {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	server := spiffeid.RequireFromString(args[1])
	config := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(server))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	response, err := client.Get(args[0])
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return result{"status": response.StatusCode, "body": string(body)}, err
}

// bundle URL TRUST_DOMAIN ENDPOINT_ID: a bundle endpoint of profile https_spiffe.
func fetchBundle(ctx context.Context, args []string) (result, error) {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	domain := spiffeid.RequireTrustDomainFromString(args[1])
	auth := federation.WithSPIFFEAuth(source, spiffeid.RequireFromString(args[2]))
	bundle, err := federation.FetchBundle(ctx, domain, args[0], auth)
	if err != nil {
		return nil, err
	}
	return describe(bundle), nil
}

func describe(bundle *spiffebundle.Bundle) result {
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	return result{
		"x509":     len(bundle.X509Authorities()),
		"jwt":      len(bundle.JWTAuthorities()),
		"sequence": sequence,
		"hintS":    hint.Seconds(),
	}
}

// watch: prints `first`, then `denied` once the identity is taken away.
func watch(ctx context.Context, _ []string) (result, error) {
	watcher := &watcher{denied: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	go func() { <-watcher.denied; cancel() }()
	_ = workloadapi.WatchX509Context(ctx, watcher)
	return result{"updates": watcher.updates}, nil
}

type watcher struct {
	updates int
	over    bool
	denied  chan struct{}
}

func (w *watcher) OnX509ContextUpdate(*workloadapi.X509Context) {
	w.updates++
	fmt.Println("update")
}

func (w *watcher) OnX509ContextWatchError(err error) {
	if status.Code(err).String() == "PermissionDenied" && !w.over {
		w.over = true
		fmt.Println("denied")
		close(w.denied)
	}
}
