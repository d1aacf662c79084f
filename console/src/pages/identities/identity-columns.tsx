import type { ReactNode } from 'react';
import type { Identity } from '../../api/identity.ts';
import type { Column } from '../../parts/data-table.tsx';
import { Link } from '../../parts/link.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Breakable, SpiffeIdText } from '../../parts/spiffe-id.tsx';
import { patchQuery } from '../../route/query.ts';
import { shortName } from '../../words/names.ts';

/** A certificate in a row. */
export const IDENTITY_COLUMNS: readonly Column<Identity>[] = [
  {
    head: 'Identity',
    value: (identity) => identity.spiffeId,
    cell: (identity) => (
      <span className="identity">
        <strong>{shortName(identity.spiffeId)}</strong>
        <SpiffeIdText id={identity.spiffeId} />
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'Expires',
    width: '7rem',
    value: (identity) => identity.expiresAt,
    cell: (identity) => <Moment at={identity.expiresAt} />,
  },
  {
    head: 'Issued',
    lesser: true,
    width: '7rem',
    value: (identity) => identity.issuedAt,
    cell: (identity) => <Moment at={identity.issuedAt} />,
  },
  {
    head: 'Serial',
    lesser: true,
    width: '9rem',
    value: (identity) => identity.serial,
    cell: (identity) => (
      <code className="clip" title={identity.serial}>
        {identity.serial}
      </code>
    ),
  },
  {
    head: 'Attested by',
    lesser: true,
    width: '16rem',
    value: (identity) => identity.selectors.join(' '),
    cell: (identity) => <Selectors selectors={identity.selectors} />,
  },
  {
    head: 'Allowed by',
    width: '11rem',
    value: (identity) => identity.allowedBy,
    cell: (identity) => <AllowedBy allowedBy={identity.allowedBy} />,
  },
  {
    head: 'Log',
    lesser: true,
    width: '4rem',
    align: 'end',
    value: (identity) => identity.logNumber,
    cell: (identity) => identity.logNumber,
  },
];

/** The selector that says most in view, the others on demand. */
function Selectors(props: { selectors: readonly string[] }): ReactNode {
  const [first, ...others] = props.selectors.toSorted(bySaying);
  if (first === undefined) return <span className="quiet">none recorded</span>;
  if (others.length === 0) return <Breakable text={first} />;
  return (
    <details className="selectors">
      <summary>
        <Breakable text={first} />
        <span className="quiet"> and {others.length} more</span>
      </summary>
      {others.map((selector) => (
        <span key={selector} className="line">
          <Breakable text={selector} />
        </span>
      ))}
    </details>
  );
}

/** What the mesh introduced says most, then the program, then the user. */
function bySaying(a: string, b: string): number {
  const kinds = ['palisade:', 'unix:path:', 'unix:user:'];
  const rank = (selector: string): number => {
    const at = kinds.findIndex((kind) => selector.startsWith(kind));
    return at < 0 ? kinds.length : at;
  };
  return rank(a) - rank(b);
}

/** What the log says where no policy set was asked, in words. */
const WITHOUT_POLICY: Readonly<Record<string, string>> = {
  self: 'the authority, for itself',
  enrol: 'enrolment of this installation',
  operator: 'an operator of the authority',
  renewal: 'renewal of the one before',
};

/** The log names the signed policy set that allowed it as `namespace@version`. */
function AllowedBy(props: { allowedBy: string }): ReactNode {
  const [, namespace, version] = /^(.+)@(\d+)$/.exec(props.allowedBy) ?? [];
  if (namespace === undefined) {
    const words = WITHOUT_POLICY[props.allowedBy];
    return words === undefined ? <Breakable text={props.allowedBy} /> : words;
  }
  return (
    <Link to={`/policies${patchQuery('', { ns: namespace, version })}`}>
      {namespace}, version {version}
    </Link>
  );
}
