import { type ReactNode, useId } from 'react';
import { useNow } from '../live/use-now.ts';
import { encodeTimeRange, rangeMs, type TimeRange } from '../route/time-range.ts';
import { formatSpanWord } from '../words/format.ts';

type TimeRangePickerProps = {
  range: TimeRange;
  defaultSpan: string;
  spans: readonly string[];
  onChange: (patch: Readonly<Record<string, string | undefined>>) => void;
};

const BETWEEN = 'between';

/** Chooses what stretch of time is shown: the newest, which is live, or one between two instants. */
export function TimeRangePicker(props: TimeRangePickerProps): ReactNode {
  const { range, defaultSpan, onChange } = props;
  const id = useId();
  const nowMs = useNow();
  const spans =
    range.kind === 'last' && !props.spans.includes(range.span)
      ? [range.span, ...props.spans]
      : props.spans;
  const change = (next: TimeRange): void => onChange(encodeTimeRange(next, defaultSpan));
  const choose = (value: string): void =>
    change(
      value === BETWEEN
        ? { kind: 'between', ...rangeMs(range, Math.floor(nowMs / 60_000) * 60_000) }
        : { kind: 'last', span: value },
    );
  return (
    <span className="time-range">
      <label className="field" htmlFor={id}>
        <span>Time</span>
        <select
          id={id}
          value={range.kind === 'last' ? range.span : BETWEEN}
          onChange={(event) => choose(event.target.value)}
        >
          {spans.map((span) => (
            <option key={span} value={span}>
              last {formatSpanWord(span)}
            </option>
          ))}
          <option value={BETWEEN}>between…</option>
        </select>
      </label>
      {range.kind === 'between' && (
        <>
          <InstantField
            label="From"
            ms={range.fromMs}
            onChange={(fromMs) => fromMs < range.untilMs && change({ ...range, fromMs })}
          />
          <InstantField
            label="Until"
            ms={range.untilMs}
            onChange={(untilMs) => untilMs > range.fromMs && change({ ...range, untilMs })}
          />
        </>
      )}
    </span>
  );
}

function InstantField(props: {
  label: string;
  ms: number;
  onChange: (ms: number) => void;
}): ReactNode {
  const id = useId();
  return (
    <label className="field" htmlFor={id}>
      <span>{props.label}</span>
      <input
        id={id}
        className="instant"
        type="datetime-local"
        value={localText(props.ms)}
        onChange={(event) => {
          const ms = Date.parse(event.target.value);
          if (Number.isFinite(ms)) props.onChange(ms);
        }}
      />
    </label>
  );
}

/** The instant as the input takes it: in the reader's zone, to the minute. */
function localText(ms: number): string {
  const offsetMs = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offsetMs).toISOString().slice(0, 16);
}
