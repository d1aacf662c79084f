// A workload that knows nothing of Palisade: java-spiffe against whatever SPIFFE_ENDPOINT_SOCKET names.
// `fetch AUDIENCE FOREIGN_ID` prints one JSON object, or the error with exit status 1.
// `watch` prints a line an update until the identity is taken away.

import io.spiffe.bundle.jwtbundle.JwtBundleSet;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.svid.x509svid.X509SvidValidator;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.LogManager;

public class Client {
  interface Work {
    Object run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    LogManager.getLogManager().reset();
    try {
      if (args[0].equals("fetch")) System.out.println(fetch(args[1], args[2]));
      else watch();
      System.exit(0);
    } catch (Exception error) {
      for (Throwable cause = error; cause != null; cause = cause.getCause()) System.err.println(cause);
      System.exit(1);
    }
  }

  static String fetch(String audience, String foreign) throws Exception {
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      X509Context context = client.fetchX509Context();
      List<String> svids = new ArrayList<>();
      for (X509Svid svid : context.getX509Svids()) {
        X509SvidValidator.verifyChain(svid.getChain(), context.getX509BundleSet());
        svids.add("{\"id\":" + text(svid.getSpiffeId()) + ",\"hint\":" + text(svid.getHint()) + "}");
      }
      JwtBundleSet jwt = client.fetchJwtBundles();
      JwtSvid token = client.fetchJwtSvid(audience);
      JwtSvid local = JwtSvid.parseAndValidate(token.getToken(), jwt, Set.of(audience));
      JwtSvid remote = client.validateJwtSvid(token.getToken(), audience);
      String wrong = refusal(() -> client.validateJwtSvid(token.getToken(), "somebody-else"));
      String denied = refusal(() -> client.fetchJwtSvid(SpiffeId.parse(foreign), audience));
      try (var x509Source = DefaultX509Source.newSource();
          var jwtSource = DefaultJwtSource.newSource()) {
        return "{\"svids\":" + svids
            + ",\"x509Bundles\":" + names(client.fetchX509Bundles().getBundles().keySet())
            + ",\"jwtBundles\":" + names(jwt.getBundles().keySet())
            + ",\"local\":" + text(local.getSpiffeId())
            + ",\"remote\":" + text(remote.getSpiffeId())
            + ",\"audience\":" + names(remote.getAudience())
            + ",\"wrongAudience\":" + text(wrong)
            + ",\"foreign\":" + text(denied)
            + ",\"source\":" + text(x509Source.getX509Svid().getSpiffeId())
            + ",\"jwtSource\":" + text(jwtSource.fetchJwtSvid(audience).getSpiffeId()) + "}";
      }
    }
  }

  static void watch() throws Exception {
    CountDownLatch ended = new CountDownLatch(1);
    try (WorkloadApiClient client = DefaultWorkloadApiClient.newClient()) {
      client.watchX509Context(new Watcher<X509Context>() {
        public void onUpdate(X509Context context) {
          int roots = context.getX509BundleSet().getBundles().values().stream()
              .mapToInt(bundle -> bundle.getX509Authorities().size()).sum();
          System.out.println(
              "update: " + context.getX509Svids().size() + " identities, " + roots + " roots");
        }

        public void onError(Throwable error) {
          System.out.println("ended: " + codeOf(error));
          ended.countDown();
        }
      });
      if (!ended.await(60, TimeUnit.SECONDS)) throw new Exception("took more than a minute");
    }
  }

  static String refusal(Work work) {
    try {
      work.run();
      return "OK";
    } catch (Exception error) {
      return codeOf(error);
    }
  }

  // The gRPC status, however deep it is wrapped; its text begins with it.
  static String codeOf(Throwable error) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      String message = String.valueOf(cause.getMessage());
      if (message.contains("INVALID_ARGUMENT")) return "InvalidArgument";
      if (message.contains("PERMISSION_DENIED")) return "PermissionDenied";
    }
    return String.valueOf(error.getMessage());
  }

  static String text(Object value) {
    return "\"" + (value == null ? "" : value) + "\"";
  }

  static String names(Set<?> values) {
    return values.stream().map(Client::text).toList().toString();
  }
}
