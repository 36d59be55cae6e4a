"""What is known about nequip and Allegro without AiiDA: parameters, configuration, results, committees, packages."""
