import type { ReactNode } from 'react';
import type { EnforcementPoint, HeldSet, SetVersion } from '../../api/enforcement-point.ts';
import type { Column } from '../../parts/data-table.tsx';
import { Moment } from '../../parts/moment.tsx';
import { StateWord } from '../../parts/state-word.tsx';
import { Words } from '../../parts/words.tsx';
import { nameOf, pointState, sortSets } from './point-rows.ts';

/** The columns of enforcement points; those of namespaces have a line for each it holds. */
export const pointColumns: readonly Column<EnforcementPoint>[] = [
  {
    head: 'Enforcement point',
    width: '12rem',
    value: nameOf,
    cell: (point) => (
      <span className="clip" title={point.spiffeId ?? point.node}>
        {nameOf(point)}
      </span>
    ),
    stacked: 'title',
  },
  {
    head: 'State',
    width: '12.5rem',
    value: (point) => pointState(point).word,
    cell: (point) => {
      const state = pointState(point);
      return <StateWord tone={state.tone}>{state.word}</StateWord>;
    },
    stacked: 'wide',
  },
  {
    head: 'Namespace',
    width: '9.5rem',
    value: (point) => point.sets.map((set) => set.namespace).join(' '),
    cell: (point) => (
      <SetLines point={point} line={(set) => <span className="clip">{set.namespace}</span>} />
    ),
  },
  {
    head: 'Wanted',
    width: '4rem',
    align: 'end',
    value: (point) => point.sets.length,
    cell: (point) => <SetLines point={point} line={(set) => <Version version={set.wanted} />} />,
    stacked: 'omit',
  },
  {
    head: 'Enforced',
    width: '5rem',
    align: 'end',
    value: (point) => point.sets.length,
    cell: (point) => (
      <SetLines
        point={point}
        line={(set) => (
          <span data-behind={set.current ? undefined : ''}>
            <Version version={set.enforced} />
            {!set.current && <span className="only-stacked"> of {set.wanted?.number}</span>}
          </span>
        )}
      />
    ),
  },
  {
    head: 'Behind since',
    lesser: true,
    width: '6rem',
    value: (point) => point.sets.find((set) => !set.current)?.wantedSince,
    cell: (point) => (
      <SetLines
        point={point}
        line={(set) =>
          set.current ? <span className="quiet">–</span> : <Moment at={set.wantedSince} />
        }
      />
    ),
    stacked: 'omit',
  },
  {
    head: 'Certificate ends',
    lesser: true,
    width: '7rem',
    value: (point) => point.certificateExpiresAt,
    cell: (point) =>
      point.certificateExpiresAt === null ? (
        <span className="quiet">unknown</span>
      ) : (
        <Moment at={point.certificateExpiresAt} />
      ),
  },
  {
    head: 'Last heard',
    lesser: true,
    width: '6rem',
    value: (point) => point.lastSeen,
    cell: (point) => <Moment at={point.lastSeen} />,
  },
  {
    head: 'Why',
    value: (point) => pointState(point).reason,
    cell: (point) => {
      const { reason } = pointState(point);
      return reason === '' ? <span className="quiet">all is well</span> : <Words text={reason} />;
    },
    stacked: 'wide',
  },
];

function SetLines(props: {
  point: EnforcementPoint;
  line: (set: HeldSet) => ReactNode;
}): ReactNode {
  if (props.point.sets.length === 0) return <span className="quiet">none yet</span>;
  return sortSets(props.point.sets).map((set) => (
    <span key={set.namespace} className="line">
      {props.line(set)}
    </span>
  ));
}

function Version(props: { version: SetVersion | null }): ReactNode {
  if (props.version === null) return <span className="quiet">none</span>;
  return <span title={props.version.hash}>{props.version.number}</span>;
}
