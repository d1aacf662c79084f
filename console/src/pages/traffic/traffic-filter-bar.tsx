import { type ReactNode, useId } from 'react';
import { SearchBox } from '../../parts/search-box.tsx';
import { formatCount } from '../../words/format.ts';
import { SPANS, type TrafficFilter } from './traffic-filter.ts';

type TrafficFilterBarProps = {
  filter: TrafficFilter;
  onChange: (patch: Readonly<Record<string, string | undefined>>) => void;
  waiting: number;
};

/** The filter, written the way `palisade log` takes it. */
export function TrafficFilterBar({ filter, onChange, waiting }: TrafficFilterBarProps): ReactNode {
  const id = useId();
  const spans = SPANS.some((span) => span === filter.since) ? SPANS : [filter.since, ...SPANS];
  return (
    <form
      className="toolbar"
      role="search"
      aria-label="Filter calls"
      onSubmit={(event) => event.preventDefault()}
    >
      <SearchBox
        label="Search in path, names and ids"
        placeholder="Path, name or id"
        value={filter.text}
        onChange={(text) => onChange({ q: text })}
      />
      <Field
        id={`${id}-from`}
        label="From"
        value={filter.from}
        onChange={(from) => onChange({ from })}
      />
      <Field id={`${id}-to`} label="To" value={filter.to} onChange={(to) => onChange({ to })} />
      <label className="field" htmlFor={`${id}-since`}>
        <span>Since</span>
        <select
          id={`${id}-since`}
          value={filter.since}
          onChange={(event) => onChange({ since: event.target.value })}
        >
          {spans.map((span) => (
            <option key={span} value={span}>
              {span}
            </option>
          ))}
        </select>
      </label>
      <label className="check">
        <input
          type="checkbox"
          checked={filter.denied}
          onChange={(event) => onChange({ denied: event.target.checked ? 'true' : undefined })}
        />
        Denied only
      </label>
      <label className="check" title="Also what the caller’s side recorded">
        <input
          type="checkbox"
          checked={filter.bothSides}
          onChange={(event) => onChange({ sides: event.target.checked ? 'both' : undefined })}
        />
        Both sides
      </label>
      <span className="waiting" role="status" title="held back while you look">
        {waiting > 0 && `${formatCount(waiting)} waiting`}
      </span>
    </form>
  );
}

function Field(props: {
  id: string;
  label: string;
  value: string;
  onChange: (value: string) => void;
}): ReactNode {
  return (
    <label className="field" htmlFor={props.id}>
      <span>{props.label}</span>
      <input
        id={props.id}
        type="text"
        autoComplete="off"
        spellCheck={false}
        placeholder="any"
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      />
    </label>
  );
}
