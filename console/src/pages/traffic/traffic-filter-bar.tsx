import { type ReactNode, useId } from 'react';
import { SearchBox } from '../../parts/search-box.tsx';
import { TimeRangePicker } from '../../parts/time-range-picker.tsx';
import { formatCount } from '../../words/format.ts';
import { DEFAULT_SPAN, SPANS, type TrafficFilter } from './traffic-filter.ts';

type TrafficFilterBarProps = {
  filter: TrafficFilter;
  onChange: (patch: Readonly<Record<string, string | undefined>>) => void;
  waiting: number;
};

/** The filter, written the way `palisade log` takes it. */
export function TrafficFilterBar({ filter, onChange, waiting }: TrafficFilterBarProps): ReactNode {
  const id = useId();
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
      <Field
        id={`${id}-where`}
        label="Where"
        placeholder="status>=500"
        value={filter.where}
        onChange={(where) => onChange({ where })}
      />
      <TimeRangePicker
        range={filter.range}
        defaultSpan={DEFAULT_SPAN}
        spans={SPANS}
        onChange={onChange}
      />
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
  placeholder?: string;
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
        placeholder={props.placeholder ?? 'any'}
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      />
    </label>
  );
}
