import { type ReactNode, useId } from 'react';
import { Icon } from './icon.tsx';

type SearchBoxProps = {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
};

/** The page's search: `/` focuses it, Escape empties it. */
export function SearchBox(props: SearchBoxProps): ReactNode {
  const id = useId();
  return (
    <span className="search">
      <Icon name="search" />
      <label htmlFor={id} className="visually-hidden">
        {props.label}
      </label>
      <input
        id={id}
        data-search=""
        type="search"
        autoComplete="off"
        spellCheck={false}
        placeholder={props.placeholder}
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          if (props.value === '') event.currentTarget.blur();
          else props.onChange('');
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </span>
  );
}
