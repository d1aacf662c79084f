import { type ReactNode, useId } from 'react';

/** One of the choices: what it is, and how it reads. */
export type Choice = readonly [value: string, words: string];

/** A choice among few in a form's bar, with its label before it. */
export function ChoiceField(props: {
  label: string;
  value: string;
  choices: readonly Choice[];
  onChange: (value: string) => void;
}): ReactNode {
  const id = useId();
  return (
    <label className="field" htmlFor={id}>
      <span>{props.label}</span>
      <select
        id={id}
        className="auto"
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      >
        {props.choices.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
