/** Object identifiers as the hex of their DER body, so that comparing needs no decoding. */
export const OID = {
  // RFC 5280 section 4.2
  subjectKeyIdentifier: '551d0e',
  keyUsage: '551d0f',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  crlNumber: '551d14',
  nameConstraints: '551d1e',
  authorityKeyIdentifier: '551d23',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
  anyExtendedKeyUsage: '551d2500',
  commonName: '550403',
  // Palisade's own, of the UUID 04957283-90bf-4b8e-b07f-aed4bc1a12ca under the arc for such OIDs, in parts of 16 and
  // 24 bits: 2.25.UUID would be shorter, and Go refuses a certificate with an arc beyond 31 bits.
  attestationStrength: '2a864886f71401be40937a891581e50382a13f81970e82e07f85bba93ce8a54a',
  // RFC 2985 section 5.4.2
  extensionRequest: '2a864886f70d01090e',
  // RFC 3279, 5480, 8410: keys
  ecPublicKey: '2a8648ce3d0201',
  p256: '2a8648ce3d030107',
  p384: '2b81040022',
  rsa: '2a864886f70d010101',
  ed25519: '2b6570',
  // RFC 4055, 5758: signatures
  ecdsaSha256: '2a8648ce3d040302',
  ecdsaSha384: '2a8648ce3d040303',
  ecdsaSha512: '2a8648ce3d040304',
  rsaSha256: '2a864886f70d01010b',
  rsaSha384: '2a864886f70d01010c',
  rsaSha512: '2a864886f70d01010d',
  // Of the UUID 6f1d0c2e-8a47-4b5e-9d3b-2f60c1e7a954 in the same way. Ours, see `requesterTag`.
  requester: '2a864886f71401be40937a81de1d982e82944781965e82ba3b81bdc141879ed254',
} as const;
