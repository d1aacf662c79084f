import { type ReactNode, useEffect, useRef } from 'react';
import { Icon } from './icon.tsx';

type SidePanelProps = { title: ReactNode; label: string; onClose: () => void; children: ReactNode };

/** What was opened, beside the table or the picture; on narrow screens over it. */
export function SidePanel(props: SidePanelProps): ReactNode {
  const panel = useRef<HTMLElement>(null);
  const { label, onClose } = props;
  useEffect(() => {
    const opener = document.activeElement;
    panel.current?.focus({ preventScroll: true });
    return () => {
      if (opener instanceof HTMLElement || opener instanceof SVGElement) opener.focus();
    };
  }, [label]);
  return (
    <aside
      className="panel"
      aria-label={label}
      tabIndex={-1}
      ref={panel}
      onKeyDown={(event) => event.key === 'Escape' && onClose()}
    >
      <div className="panel-head">
        <h2>{props.title}</h2>
        <button type="button" className="tool-button" onClick={onClose} title="Close (Esc)">
          <Icon name="close" />
          <span className="visually-hidden">Close</span>
        </button>
      </div>
      {props.children}
    </aside>
  );
}
