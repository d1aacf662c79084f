"""A workload that knows nothing of Palisade: py-spiffe against whatever SPIFFE_ENDPOINT_SOCKET names.

Usage: py-spiffe.py AUDIENCE FOREIGN_ID. Prints one JSON object, or the error with exit status 1.
"""

import json
import sys

from spiffe import JwtSource, WorkloadApiClient, X509Source


def refusal(work):
    """The gRPC status that `work` was refused with, however deep it is wrapped."""
    try:
        work()
    except Exception as error:  # py-spiffe has an exception of its own for each call
        while error is not None:
            if hasattr(error, "code"):
                return error.code().name
            error = error.__cause__ or error.__context__
        return "refused without a status"
    return "OK"


def main(audience, foreign):
    with WorkloadApiClient() as client:
        context = client.fetch_x509_context()
        token = client.fetch_jwt_svid(audience={audience})
        validated = client.validate_jwt_svid(token.token, audience)
        jwt_bundles = client.fetch_jwt_bundles()
        result = {
            "svids": [str(svid.spiffe_id) for svid in context.x509_svids],
            "x509Bundles": [str(b.trust_domain) for b in client.fetch_x509_bundles().bundles],
            "jwtBundles": [str(b.trust_domain) for b in jwt_bundles.bundles],
            "token": str(validated.spiffe_id),
            "audience": sorted(validated.audience),
            "wrongAudience": refusal(lambda: client.validate_jwt_svid(token.token, "other")),
            "foreign": refusal(
                lambda: client.fetch_jwt_svid(audience={audience}, subject=foreign_id(foreign))
            ),
        }
    with X509Source() as source:
        result["source"] = str(source.svid.spiffe_id)
    with JwtSource() as source:
        result["jwtSource"] = str(source.fetch_svid(audience={audience}).spiffe_id)
    print(json.dumps(result))


def foreign_id(text):
    from spiffe import SpiffeId

    return SpiffeId(text)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        print(repr(error), file=sys.stderr)
        sys.exit(1)
