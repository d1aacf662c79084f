import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/parts.css';
import './styles/table.css';
import './styles/map.css';
import './styles/pages.css';
import './styles/views.css';
import './styles/evidence.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { liveChannel } from './live/use-live.ts';
import { applyTheme, rememberedTheme } from './shell/theme.ts';

applyTheme(rememberedTheme());
liveChannel.open();
document.addEventListener('visibilitychange', () => {
  if (document.hidden) liveChannel.suspend();
  else liveChannel.wake();
});

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element `root`');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
