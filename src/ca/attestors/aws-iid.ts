import { verify, X509Certificate } from 'node:crypto';
import { derToPem, parseJsonObject, pemToDer } from '#identity';
import { fail, ok } from '#lib';
import type { NodeAttestor } from './node-attestor.ts';
import { textClaim } from './platform-token.ts';
import { bytesOf, MAX_SIGNATURE_BYTES } from './proof.ts';

const MAX_DOCUMENT = 16 * 1024;

/** The instance identity document of AWS with its base64 signature (RSA, SHA-256), as its metadata service gives them. */
export const awsIid: NodeAttestor = {
  strength: 'token',
  begin(evidence, { specs }) {
    const document = bytesOf(evidence, 'document', MAX_DOCUMENT);
    if (!document.ok) return document;
    const signature = bytesOf(evidence, 'signature', MAX_SIGNATURE_BYTES);
    if (!signature.ok) return signature;
    const configured = specs.flatMap(({ awsIid: spec }) => (spec === undefined ? [] : [spec]));
    if (configured.length === 0) return fail('no NodeAttestor with `awsIid` is applied');
    const signedFor = configured.filter(({ certificates }) =>
      isSigned(document.value, signature.value, certificates),
    );
    if (signedFor.length === 0) return fail('the document is not signed by a certificate of AWS');
    const content = parseJsonObject(document.value);
    const account = textClaim(content, 'accountId');
    const id = textClaim(content, 'instanceId');
    if (account === undefined || id === undefined) return fail('the document names no instance');
    const spec = signedFor.find(({ accounts }) => accounts.includes(account));
    if (spec === undefined) return fail(`instances of the account \`${account}\` may not attest`);
    const named = (selector: string, member: string): readonly string[] => {
      const value = textClaim(content, member);
      return value === undefined ? [] : [`aws_iid:${selector}:${value}`];
    };
    const selectors = [
      `aws_iid:account:${account}`,
      `aws_iid:instance-id:${id}`,
      ...named('region', 'region'),
      ...named('az', 'availabilityZone'),
      ...named('image-id', 'imageId'),
    ];
    const host = {
      agent: `aws_iid/${account}.${id}`,
      selectors,
      isFirstUseOnly: !spec.again.includes(id),
    };
    return ok({ kind: 'attested', host });
  },
};

function isSigned(document: Uint8Array, signature: Uint8Array, certificates: string): boolean {
  return pemToDer(certificates).some((der) => {
    const { publicKey } = new X509Certificate(derToPem(der));
    // AWS signs with RSA; another kind of key would verify another kind of signature.
    return (
      publicKey.asymmetricKeyType === 'rsa' && verify('sha256', document, publicKey, signature)
    );
  });
}
