//! A workload that knows nothing of Palisade: rust-spiffe against whatever SPIFFE_ENDPOINT_SOCKET names.
//! `fetch AUDIENCE FOREIGN_ID` prints one JSON object, or the error with exit status 1.
//! `watch` prints a line an update until the identity is taken away.

use std::error::Error;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use spiffe::{JwtSource, JwtSvid, SpiffeId, TrustDomain, WorkloadApiClient, WorkloadApiError, X509Source};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = tokio::time::timeout(Duration::from_secs(60), async {
        match args.first().map(String::as_str) {
            Some("fetch") => fetch(&args[1], &args[2]).await.map(|out| println!("{out}")),
            Some("watch") => watch().await,
            _ => Err("unknown command".into()),
        }
    });
    match done.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => fail(&error.to_string()),
        Err(_) => fail("took more than a minute"),
    }
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(1)
}

async fn fetch(audience: &str, foreign: &str) -> Result<Value, Box<dyn Error>> {
    let client = WorkloadApiClient::connect_env().await?;
    let context = client.fetch_x509_context().await?;
    let svids: Vec<Value> = context
        .svids()
        .iter()
        .map(|svid| json!({ "id": svid.spiffe_id().to_string(), "hint": svid.hint().unwrap_or("") }))
        .collect();
    let x509 = client.fetch_x509_bundles().await?;
    let jwt = client.fetch_jwt_bundles().await?;
    let token = client.fetch_jwt_svid([audience], None).await?;
    let local = JwtSvid::parse_and_validate(token.token(), &jwt, &[audience])?;
    let remote = client.validate_jwt_token(audience, token.token()).await?;
    let subject: SpiffeId = foreign.parse()?;
    let own = TrustDomain::new("cluster.local")?;
    let x509_source = X509Source::new().await?;
    let jwt_source = JwtSource::new().await?;
    let out = json!({
        "svids": svids,
        "x509Bundles": x509.iter().map(|(domain, _)| domain.to_string()).collect::<Vec<_>>(),
        "jwtBundles": jwt.iter().map(|(domain, _)| domain.to_string()).collect::<Vec<_>>(),
        "roots": x509.get(&own).map_or(0, |bundle| bundle.authorities().len()),
        "local": local.spiffe_id().to_string(),
        "remote": remote.spiffe_id().to_string(),
        "audience": remote.audience(),
        "wrongAudience": refusal(client.validate_jwt_token("somebody-else", token.token()).await),
        "foreign": refusal(client.fetch_jwt_svid([audience], Some(&subject)).await),
        "source": x509_source.svid()?.spiffe_id().to_string(),
        "jwtSource": jwt_source.fetch_jwt_svid([audience]).await?.spiffe_id().to_string(),
    });
    x509_source.shutdown().await;
    jwt_source.shutdown().await;
    Ok(out)
}

fn refusal<T>(done: Result<T, WorkloadApiError>) -> String {
    match done {
        Ok(_) => "OK".into(),
        Err(error) if error.is_invalid_argument() => "InvalidArgument".into(),
        Err(WorkloadApiError::PermissionDenied(_) | WorkloadApiError::NoIdentityIssued) => {
            "PermissionDenied".into()
        }
        Err(error) => error.to_string(),
    }
}

async fn watch() -> Result<(), Box<dyn Error>> {
    let client = WorkloadApiClient::connect_env().await?;
    let mut updates = client.stream_x509_contexts().await?;
    while let Some(update) = updates.next().await {
        match update {
            Ok(context) => {
                let roots: usize =
                    context.bundle_set().iter().map(|(_, bundle)| bundle.authorities().len()).sum();
                println!("update: {} identities, {roots} roots", context.svids().len());
            }
            error => {
                println!("ended: {}", refusal(error));
                return Ok(());
            }
        }
    }
    println!("ended: without a status");
    Ok(())
}
