// Istio's own HBONE library at the other end of our tunnels: `client` turns connections to a local port into CONNECT
// streams of one tunnel, `server` takes tunnels as a ztunnel or a waypoint does. Prints a JSON object a line.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/net/http2"
	"istio.io/istio/pkg/hbone"
	istiolog "istio.io/istio/pkg/log"
)

type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return errors.New("write NAME=VALUE")
	}
	p[name] = value
	return nil
}

var (
	cert      = flag.String("cert", "", "PEM file with an SVID and its key")
	root      = flag.String("root", "", "PEM file with the trust bundle")
	expected  = flag.String("peer", "", "SPIFFE ID of whoever is at the other end; any if empty")
	proxy     = flag.String("proxy", "", "client: address of the tunnel's server")
	authority = flag.String("authority", "", "client: what CONNECT names")
	library   = flag.Bool("library", false, "client: Istio's dialer, which can send no headers and half-close nothing")
	listen    = flag.String("listen", "127.0.0.1:0", "where to listen")
	answer    = flag.Int("answer", 0, "server: refuses each CONNECT with this status")
	headers   = pairs{}
	names     = pairs{}
)

func main() {
	flag.Var(headers, "header", "client: NAME=VALUE of a header of CONNECT")
	flag.Var(names, "name", "server: HOST:PORT=ADDRESS, what an authority stands for")
	if len(os.Args) < 2 {
		fail(errors.New("client or server?"))
	}
	flag.CommandLine.Parse(os.Args[2:])
	quiet := istiolog.DefaultOptions()
	quiet.SetDefaultOutputLevel("all", istiolog.NoneLevel)
	if err := istiolog.Configure(quiet); err != nil {
		fail(err)
	}
	config, err := tlsConfig()
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fail(err)
	}
	tell(map[string]any{"listening": listener.Addr().(*net.TCPAddr).Port})
	switch os.Args[1] {
	case "client":
		fail(serveClient(listener, config))
	case "server":
		fail(serveTunnels(listener, config))
	}
}

func tlsConfig() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(*cert, *cert)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(*root)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{pair},
		ClientAuth:         tls.RequireAnyClientCert,
		NextProtos:         []string{"h2"},
		InsecureSkipVerify: true,
		// SPIFFE IDs are no host names, so the chain is verified here.
		VerifyConnection: func(state tls.ConnectionState) error { return verify(state, roots) },
	}, nil
}

func verify(state tls.ConnectionState, roots *x509.CertPool) error {
	leaf := state.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, each := range state.PeerCertificates[1:] {
		between.AddCert(each)
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: usages})
	if err == nil && *expected != "" && (len(leaf.URIs) != 1 || leaf.URIs[0].String() != *expected) {
		err = fmt.Errorf("the peer is %v", leaf.URIs)
	}
	return err
}

func serveClient(listener net.Listener, config *tls.Config) error {
	dialer := hbone.NewDialer(hbone.Config{ProxyAddress: *proxy, TLS: config})
	transport := &http2.Transport{TLSClientConfig: config}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			var err error
			if *library {
				err = throughLibrary(conn, dialer)
			} else {
				err = asZtunnel(conn.(*net.TCPConn), transport)
			}
			if err != nil {
				tell(map[string]any{"failed": err.Error()})
			}
		}()
	}
}

func throughLibrary(conn net.Conn, dialer hbone.Dialer) error {
	defer conn.Close()
	tunneled, err := dialer.DialContext(context.Background(), "tcp", *authority)
	if err != nil {
		return err
	}
	defer tunneled.Close()
	go func() { _, _ = io.Copy(tunneled, conn); tunneled.Close() }()
	_, err = io.Copy(conn, tunneled)
	return err
}

// As ztunnel does it: metadata in headers, no byte before a 200, half-close both ways.
func asZtunnel(conn *net.TCPConn, transport *http2.Transport) error {
	defer conn.Close()
	reader, writer := io.Pipe()
	request, err := http.NewRequest(http.MethodConnect, "https://"+*proxy, reader)
	if err != nil {
		return err
	}
	request.Host = *authority
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, reason %q", response.StatusCode, response.Header.Get("x-palisade-reason"))
	}
	go func() { _, _ = io.Copy(writer, conn); writer.Close() }()
	_, err = io.Copy(conn, response.Body)
	if err == nil {
		err = conn.CloseWrite()
	}
	return err
}

func serveTunnels(listener net.Listener, config *tls.Config) error {
	server := hbone.NewServer()
	server.Protocols.SetHTTP2(true)
	server.TLSConfig = config
	takesConnect := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tell(map[string]any{
			"connect": r.Host, "method": r.Method, "headers": r.Header,
			"peer": r.TLS.PeerCertificates[0].URIs[0].String(), "from": r.RemoteAddr,
		})
		if *answer != 0 {
			w.WriteHeader(*answer)
			return
		}
		if address, known := names[r.Host]; known {
			r.Host = address
		}
		takesConnect.ServeHTTP(w, r)
	})
	return server.ServeTLS(listener, "", "")
}

func tell(what map[string]any) {
	text, _ := json.Marshal(what)
	fmt.Println(string(text))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
